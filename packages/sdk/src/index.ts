/**
 * The typed client of the API: one function per route of the contract, in browsers and in Node.
 *
 * It adds nothing to the contract but transport: `fetch` and the clock are handed in.
 */
export * from './client.ts';
export * from './credentials.ts';
export * from './problem-error.ts';
export { shownOf, textOf } from './reply-text.ts';
