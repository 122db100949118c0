cimport cython

from twin_app.kernel.entity cimport Entity

@cython.locals(rows=list, x=Entity)
cpdef list _entity_rows(entities)
@cython.locals(x=Entity)
cpdef _put_entities_back(list rows, list steps, dict entities, list due)
