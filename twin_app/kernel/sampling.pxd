cimport cython

from twin_app.kernel.streams cimport Stream

cdef class Sampler(Stream):
    cdef public object _parameters, distribution
    cpdef draw(self, entity=*)

cdef class ConstantSampler(Sampler):
    cdef public object _value
    cpdef draw(self, entity=*)

cdef class ExponentialSampler(Sampler):
    cdef public double _mean
    @cython.locals(index="long long")
    cpdef draw(self, entity=*)
