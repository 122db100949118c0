from twin_app.kernel.entity cimport Entity
from twin_app.kernel.twin cimport Twin

cdef class Step:
    cdef public object index, next, place
    cdef public Twin twin
    cpdef enter(self, Entity entity)
    cpdef wake(self, Entity entity)
    cpdef begin(self, Entity entity, cause)
