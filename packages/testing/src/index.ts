/** What tests of several packages share: values that break things, copies of the checkout. Nothing here is for production code. */
export * from './afterwards.ts';
export * from './clone.ts';
export * from './hostile-values.ts';
