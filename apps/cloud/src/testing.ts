/**
 * The whole server in process, for `*.db.test.ts`, the SDK and end-to-end tests.
 *
 * `startTestCluster` starts PostgreSQL once for a test file (about two seconds); `startTestCloud` gives each test a
 * server on a fresh copy of the migrated database (a fifth of a second). The caller stops both.
 */
export * from './testing/test-cloud.ts';
export * from './testing/test-cluster.ts';
export * from './testing/test-server.ts';
export * from './testing/example-archive.ts';
export * from './testing/example-release.ts';
export { append as appendTestLeaf, prove as proveTestLeaf } from './testing/key-log-leaves.ts';
export * from './testing/example-device.ts';
export * from './testing/raw-request.ts';
export * from './testing/route-examples.ts';
export * from './testing/tenant-escrow.ts';
export * from './testing/try-slots.ts';
export * from './testing/test-world.ts';
