from twin_app.kernel.entity cimport Entity
from twin_app.kernel.steps.base cimport Step

cdef class End(Step):
    cpdef enter(self, Entity entity)
