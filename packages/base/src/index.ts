/** Words every package shares: errors, assertions, time, ids, bounded concurrency, retries. No domain noun. */
export * from './assert.ts';
export * from './clock.ts';
export * from './concurrency.ts';
export * from './errors.ts';
export * from './ids.ts';
export * from './retry.ts';
