cimport cython

from twin_app.kernel.lots cimport Lots

cdef class Entry:
    cdef public double at
    cdef public long long order
    cdef public int phase
    cdef public object step, units

cdef class Calendar:
    cdef public Lots _lots
    cdef public object environment
    cdef public list heap
    cdef public double horizon, reach
    cdef public long long _cut_at, _near_max, far, number, stale
    @cython.locals(lots=Lots, order="long long")
    cpdef schedule(self, Entry entry, double at, int priority=*)
    cpdef cancel(self, Entry entry)
