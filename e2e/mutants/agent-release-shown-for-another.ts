/** Lets the server show a document under the hash of another one. */
export const mutant = {
  file: 'apps/agent/src/releases/shown-documents.ts',
  find: 'if (shown !== sha256)',
  replace: 'if (shown.length !== sha256.length)',
  test: 'apps/agent/src/releases/release-client.test.ts',
};
