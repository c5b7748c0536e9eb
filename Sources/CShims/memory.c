#include "CShims.h"

#include <malloc.h>

void sh_use_one_heap(void) { mallopt(M_ARENA_MAX, 1); }
