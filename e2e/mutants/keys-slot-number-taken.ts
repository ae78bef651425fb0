/** Takes an own key under the number of a slot that the archive has. */
export const mutant = {
  file: 'apps/agent/src/control/answer-key-use.ts',
  find: 'if (slotLives(stored).every((life) => life.slotId !== slotId)) return;',
  replace: 'if (slotId.length === 32) return;',
  test: 'apps/agent/src/control/own-key.system.test.ts',
};
