/** Tells of rows whose records a stopped worker did not hand over. */
export const mutant = {
  file: 'packages/archive/src/backup/worker.ts',
  find: 'if (!this.#fragments.flush()) throw backupErrors.stopped();',
  replace: 'this.#fragments.flush();',
  test: 'apps/agent/src/engine/stopped.system.test.ts',
};
