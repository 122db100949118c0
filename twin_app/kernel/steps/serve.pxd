cimport cython

from twin_app.kernel.calendar cimport Calendar
from twin_app.kernel.entity cimport Entity
from twin_app.kernel.resource cimport Resource
from twin_app.kernel.steps.base cimport Step
from twin_app.kernel.twin cimport Twin

cdef class Seize(Step):
    cdef public bint _preempts, _simple
    cdef public object _balk_to, _body, _patience, _priority, _renege_to, _units, payload
    cdef public Resource resource
    @cython.locals(free=bint, resource=Resource, twin=Twin)
    cpdef enter(self, Entity entity)
    cpdef wake(self, Entity entity)
    @cython.locals(resource=Resource, twin=Twin)
    cpdef begin(self, Entity entity, cause)
    @cython.locals(resource=Resource, twin=Twin)
    cpdef _occupy(self, Entity entity)

cdef class Process(Seize):
    cdef public object _abandon_to, _duration
    @cython.locals(resource=Resource, twin=Twin)
    cpdef wake(self, Entity entity)
    @cython.locals(
        at=double, calendar=Calendar, duration=double, now=double, order="long long", resource=Resource, twin=Twin, units="long long"
    )
    cpdef begin(self, Entity entity, cause)
    @cython.locals(resource=Resource, twin=Twin, units="long long")
    cpdef _stop(self, Entity entity)

cdef class Release(Step):
    cdef public object _payload, _units
    cdef public Resource resource
    cpdef enter(self, Entity entity)
