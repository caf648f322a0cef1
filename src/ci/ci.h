/* ci/ci.h - CI services: what their files do, and what is started on them.
 *
 *	shell.h     a shell script as a list of commands
 *	pipeline.h  what the CI files of a repository do
 *	check.h     what costs a pipeline time, or does nothing
 *	codebuild.h AWS CodeBuild: start builds, follow them, stop them
 *	github.h    GitHub's workflows: start runs, follow them, cancel them
 *	driver.h    builds that run somewhere, whatever the service
 *	init.h      the CI files of a repository that has none
 */
#ifndef CAIRN_CI_CI_H
#define CAIRN_CI_CI_H

#include "check.h"
#include "codebuild.h"
#include "driver.h"
#include "github.h"
#include "init.h"
#include "pipeline.h"
#include "shell.h"

#endif
