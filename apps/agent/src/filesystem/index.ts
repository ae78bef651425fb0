/**
 * Linux as the agent needs it, and Node does not have it: everything relative to open directories, raw names, times
 * before 1970, attributes, special files, holes, mounts, peers, and watching.
 *
 * Synchronous and allocation-free where it is called per file; every thread has its own copy and may use descriptors
 * opened by another. Elsewhere than on Linux every call throws `files.unsupported_platform`.
 */
export * from './attributes.ts';
export * from './boot-time.ts';
export * from './change-entries.ts';
export { asFileError, fileErrors } from './errors.ts';
export * from './extended-attributes.ts';
export * from './file-name.ts';
export * from './open-relative.ts';
export * from './peer.ts';
export * from './read-directory.ts';
export * from './read-link.ts';
export * from './set-attributes.ts';
export * from './sparse.ts';
export * from './trim-memory.ts';
export * from './volumes.ts';
export * from './watch.ts';
