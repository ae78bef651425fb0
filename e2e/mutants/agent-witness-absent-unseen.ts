/** Never misses the cosignature of a witness that is demanded. */
export const mutant = {
  file: 'apps/agent/src/keylog/key-witnesses.ts',
  find: 'if (cosigned && !isOver(cosigned.cosignedAtMs, DAY_MS)) return [];',
  replace: 'if (cosigned) return [];',
  test: 'apps/agent/src/keylog/key-witnesses.test.ts',
};
