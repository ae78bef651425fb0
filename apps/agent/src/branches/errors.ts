import { defineErrors } from '@holdfast/base';

/** Failures around branches. */
export const branchErrors = defineErrors('branches', {
  not_found: ['not_found', 'There is no branch of that number'],
  decided: ['conflict', 'What becomes of the branch was decided before'],
  went_on: ['conflict', 'The branch is longer than it was when you asked: look at it again'],
  undecided: ['conflict', 'The branch was not given up'],
  let_go: ['conflict', 'The branch was given up longer ago than anything is held: it may be gone'],
  unreadable: ['corrupt', 'Commits of the branch are missing or damaged where it lies'],
});
