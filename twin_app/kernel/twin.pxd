cimport cython

from twin_app.kernel.calendar cimport Calendar, Entry
from twin_app.kernel.entity cimport Entity
from twin_app.kernel.statistics cimport FlowStatistics
from twin_app.kernel.steps.base cimport Step

cdef class Clockwork:
    cdef public Calendar calendar
    cdef public dict dirty, entities
    cdef public bint events
    cdef public double now
    cdef public object ready
    cdef public long long seq
    cdef public object tell

cdef class Twin(Clockwork):
    cdef dict __dict__
    cdef public long long _instant_steps, created, executed, last_entity, machines, refused
    cdef public dict flow_statistics, outcomes
    cdef public object program
    @cython.locals(
        at=double, bound=double, calendar=Calendar, dirty=dict, done="long long", entry=Entry, heap=list, instant="long long",
        item=tuple, limit="long long", now=double, order="long long", step=Step, steps_max="long long",
    )
    cpdef bint advance(self, double until, bint inclusive=*, budget=*) except -1
    @cython.locals(dirty=dict, entity=Entity, step=Step, steps_max="long long")
    cpdef long long _settle(self, long long instant) except -1
    @cython.locals(seq="long long")
    cpdef emit(self, kind, entity, cause, payload)
    @cython.locals(entity=Entity, seq="long long")
    cpdef Entity create(self, flow, attributes, source, cause=*)
    @cython.locals(figures=FlowStatistics, seq="long long")
    cpdef leave(self, Entity entity, outcome)
