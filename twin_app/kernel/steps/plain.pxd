cimport cython

from twin_app.kernel.calendar cimport Calendar
from twin_app.kernel.entity cimport Entity
from twin_app.kernel.resource cimport Resource
from twin_app.kernel.steps.serve cimport Process
from twin_app.kernel.twin cimport Twin

cdef class PlainProcess(Process):
    @cython.locals(now=double, resource=Resource, seq="long long", twin=Twin)
    cpdef enter(self, Entity entity)
    @cython.locals(
        at=double, calendar=Calendar, duration=double, now=double, order="long long", resource=Resource, seq="long long", twin=Twin
    )
    cpdef begin(self, Entity entity, cause)
    cpdef _stop(self, Entity entity)
    @cython.locals(now=double, resource=Resource, seq="long long", twin=Twin, waiting=Entity)
    cpdef wake(self, Entity entity)
