/** Ends the server where the system lets no child begin. */
export const mutant = {
  file: 'apps/cloud/src/platform/supervised-child.ts',
  find: '      return undefined;\n    }\n  }',
  replace: '      throw err;\n    }\n  }',
  test: 'apps/cloud/src/platform/supervised-child.test.ts',
};
