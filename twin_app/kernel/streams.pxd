cdef class Stream:
    cdef public list _block
    cdef public long long _index, _size, _start
    cdef public object _key, name
    cpdef double uniform(self) except -1
    cpdef _refill(self)
