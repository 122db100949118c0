cimport cython

from twin_app.kernel.calendar cimport Entry
from twin_app.kernel.entity cimport Entity
from twin_app.kernel.sampling cimport Sampler
from twin_app.kernel.twin cimport Twin

cdef class Arrival(Entry):
    cdef public object _limit, _trace, attributes, flow, model, name
    cdef public Sampler interarrival
    cdef public long long _entities_max, count
    cdef public Twin twin
    @cython.locals(gap=double, twin=Twin)
    cpdef plan(self)
    @cython.locals(entity=Entity, twin=Twin)
    cpdef wake(self, Entry entry)
