cimport cython

cdef class Entry:
    cdef public double at
    cdef public long long order
    cdef public int phase
    cdef public object step, units

cdef class Calendar:
    cdef public object _cut_at, _lots, _near_max, _void, environment
    cdef public list heap
    cdef public double horizon, reach
    cdef public long long far, number, stale
    @cython.locals(order="long long")
    cpdef schedule(self, Entry entry, double at, int priority=*)
    cpdef defer(self, Entry entry, double at, long long order)
    cpdef _add(self, double at, long long order, Entry entry)
    cpdef cancel(self, Entry entry)
    cpdef bint is_stale(self, long long order, Entry entry)
    cpdef bint _is_due(self, long long order, Entry entry)
