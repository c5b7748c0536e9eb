#include "CShims.h"
#include <sys/xattr.h>

int sh_is_attribute_set(const char *path, const char *name) {
    char value;
    return getxattr(path, name, &value, 1) == 1 && value == '1';
}
