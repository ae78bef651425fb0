/**
 * The API as data: one file per noun, each with its schemas, its errors and its routes.
 *
 * Nothing here does I/O or knows a server; browsers, servers, the SDK and the tests read the same values.
 */
export * from './api-clients.ts';
export * from './audit.ts';
export * from './customer.ts';
export * from './devices.ts';
export * from './key-log.ts';
export * from './oauth.ts';
export * from './orgs.ts';
export * from './permissions.ts';
export * from './person-card.ts';
export * from './policies.ts';
export * from './problem-in-words.ts';
export * from './problem.ts';
export * from './releases.ts';
export * from './route.ts';
export * from './routes.ts';
export * from './sessions.ts';
export * from './shapes.ts';
export * from './storage.ts';
export * from './takeovers.ts';
export * from './users.ts';
