cimport cython

from twin_app.kernel.entity cimport Entity
from twin_app.kernel.twin cimport Twin

cdef class Resource:
    cdef public list before
    cdef public bint debt_looked_at
    cdef public double busy_sum, capacity_area, capacity_since, debt_area, debt_since, down_sum, queue_sum, waited
    cdef public long long busy, capacity, debt, down, started, taken, usable
    cdef public object discipline, halted, max_capacity, name, on_change, outages, plain_line, queue, queue_limit, users
    cdef public Twin twin
    @cython.locals(now=double)
    cpdef join(self, Entity entity, bint ahead=*)
    cpdef quit(self, Entity entity)
    @cython.locals(entity=Entity, now=double, twin=Twin)
    cpdef grant(self, cause)
