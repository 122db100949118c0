cimport cython

from twin_app.kernel.entity cimport Entity
from twin_app.kernel.steps.base cimport Step
from twin_app.kernel.twin cimport Twin

cdef class Delay(Step):
    cdef public object _duration, _interrupt_to, _interruptible
    @cython.locals(duration=double, twin=Twin)
    cpdef enter(self, Entity entity)
    cpdef wake(self, Entity entity)
