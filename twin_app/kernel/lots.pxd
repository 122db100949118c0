cdef class Lots:
    cdef public list entries, orders, times
    cdef public double reach, _scale
    cdef public long long _base, _done, _filled, _next
    cdef public list _lots
    cdef public object _run, _run_times, _table
