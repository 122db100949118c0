from twin_app.kernel.entity cimport Entity

cdef class Step:
    cdef public object index, next, place, twin
    cpdef enter(self, Entity entity)
    cpdef wake(self, Entity entity)
    cpdef begin(self, Entity entity, cause)
