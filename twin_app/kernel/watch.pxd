from twin_app.kernel.calendar cimport Entry
from twin_app.kernel.resource cimport Resource
from twin_app.kernel.twin cimport Twin

cdef class Alarm(Entry):
    cdef public object report
    cpdef wake(self, Entry entry)

cdef class ResourceWatch:
    cdef public Twin _twin
    cdef public Resource _resource
    cdef public object _model
    cdef public bint _formed, _starving
    cdef public long long _joined, _queue, _taken, _threshold
    cdef public double _lasting
    cdef public Alarm form_alarm, starve_alarm
    cpdef look(self)
    cpdef _look_at_queue(self)
