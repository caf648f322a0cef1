/* cli/background_sync.h - make a finished build survive a power cut, without waiting for it.
 *
 * A build never waits for the disk (DECISIONS.md 28): what it kept is safe from a
 * killed process, not from a power cut, until store_sync() has run.  That takes
 * as long as the disk needs for everything the machine has not written yet, so a
 * process of its own does it after the build has ended, and then exits.
 */
#ifndef CAIRN_CLI_BACKGROUND_SYNC_H
#define CAIRN_CLI_BACKGROUND_SYNC_H

/* argv[1] of that process; argv[2] is the store. main() calls background_sync_main(). */
#define BACKGROUND_SYNC_ARG "--sync-store"

/* Start it for the store at `home`; it outlives the caller, in a session of its own. Failing to
 * start is no error: the rows stay as they are until a later build's. */
void background_sync_start(const char *home);

/* Sync and return the exit status. */
int background_sync_main(int argc, char **argv);

#endif
