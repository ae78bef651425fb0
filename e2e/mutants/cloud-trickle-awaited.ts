/** Waits for as long as a server sends a byte a minute. */
export const mutant = {
  file: 'apps/agent/src/cloud/https-fetch.ts',
  find: 'if (socket.bytesRead - before < bytes) reply.destroy(cloudErrors.reply_slow());',
  replace: '',
  test: 'apps/agent/src/cloud/slow-reply.system.test.ts',
};
