#include "heat.h"

#include <stdio.h>

static double now[300 * 500], next[300 * 500];

int main(void) {
    int64_t shape[] = {300, 500};
    now[7 * 500 + 9] = 8;
    int status = heat(now, shape, NULL, next, shape, NULL, 0.125); /* strides: NULL is C order */
    if (status != KILN_OK) {
        fputs(kiln_rt_status_text(status), stderr);
        return 1;
    }
    return next[7 * 500 + 9] == 4 && next[6 * 500 + 9] == 1 && next[7 * 500 + 10] == 1 ? 0 : 1;
}
