/** Does not miss a witness that never cosigned. */
export const mutant = {
  file: 'apps/agent/src/keylog/key-witnesses.ts',
  find: 'if (cosigned && !isOver(cosigned.cosignedAtMs, DAY_MS)) return [];',
  replace: 'if (!cosigned || !isOver(cosigned.cosignedAtMs, DAY_MS)) return [];',
  test: 'apps/agent/src/keylog/key-witnesses.test.ts',
};
