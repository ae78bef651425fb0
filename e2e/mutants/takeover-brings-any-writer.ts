/** Lets any writer come in after a takeover. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: "const isSuccessor = Buffer.from(writer.publicKey).toString('base64url') === this.row.next_writer_key;",
  replace: 'const isSuccessor = this.row.next_writer_key !== null;',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
