// All tasks.
#pragma once

#include "runtime/tasks/task.h"

namespace compressc {

// One entry for each; Make... is defined in the task's file.
#define COMPRESSC_TASKS(X) X(Mmlu) X(Choice) X(Perplexity) X(Kl)

#define COMPRESSC_DECLARE_TASK(name) std::unique_ptr<Task> Make##name();
COMPRESSC_TASKS(COMPRESSC_DECLARE_TASK)
#undef COMPRESSC_DECLARE_TASK

} // namespace compressc
