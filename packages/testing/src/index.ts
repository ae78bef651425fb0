/** What tests of several packages share: values that break things. Nothing here is for production code. */
export * from './afterwards.ts';
export * from './hostile-values.ts';
