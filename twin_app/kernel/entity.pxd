from twin_app.kernel.calendar cimport Entry

cdef class Entity(Entry):
    cdef public object attributes, flow, held, id, last, memory, priority
    cdef public double created, since
    cdef public long long ticket
