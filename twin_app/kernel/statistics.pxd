from twin_app.kernel.calendar cimport Entry

cdef class FlowStatistics:
    cdef public long long finished
    cdef public object sketch
    cdef public double time_sum

cdef class WarmUp(Entry):
    cdef public object _twin
    cpdef wake(self, Entry entry)
