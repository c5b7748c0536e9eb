#include "CShims.h"

#include <sys/timex.h>

int sh_is_clock_synchronized(void) {
    struct timex state = {0};
    return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
}
