cimport cython

from twin_app.kernel.entity cimport Entity
from twin_app.kernel.steps.base cimport Step
from twin_app.kernel.twin cimport Twin

cdef class End(Step):
    @cython.locals(twin=Twin)
    cpdef enter(self, Entity entity)
