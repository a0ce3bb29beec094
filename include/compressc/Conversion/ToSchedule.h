// An exec program as the runtime's data structure.
#pragma once

#include "compressc/runtime/schedule.h"
#include "dialects/Exec/Exec.h"
#include "dialects/Exec/Storage.h"

namespace compressc {

Schedule ToSchedule(exec::ProgramOp program);

} // namespace compressc
