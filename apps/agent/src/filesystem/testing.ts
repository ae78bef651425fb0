/** For tests of other packages: the torture tree, and the walker that compares what came back. */
export { compareTrees, type CompareOptions, type TreeAspect, type TreeDifference } from './compare-trees.ts';
export { removeTree } from './remove-tree.ts';
export { openTemporaryFolder, temporaryFolder } from './temporary-folder.ts';
export { makeTortureTree, type TortureOptions, type TortureTree } from './torture-tree.ts';
