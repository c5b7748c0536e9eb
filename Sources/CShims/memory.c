#define _GNU_SOURCE
#include "CShims.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

void sh_use_one_heap(void) {
    mallopt(M_ARENA_MAX, 1);
    /* Fixed: by itself glibc keeps ever larger blocks once one of their size was freed. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

static int let_go_of(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size, (void)unused;
    uintptr_t page = (uintptr_t)getpagesize();
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        // What can be written to may have become another than what the file has.
        if (part->p_type != PT_LOAD || part->p_flags & PF_W) continue;
        uintptr_t begin = object->dlpi_addr + part->p_vaddr, first = begin & ~(page - 1);
        madvise((void *)first, begin + part->p_memsz - first, MADV_DONTNEED);
    }
    return 0;
}

void sh_let_go_of_startup(void) { dl_iterate_phdr(let_go_of, NULL); }
