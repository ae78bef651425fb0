import { defineErrors } from '@holdfast/base';

/** What is wrong with a backup set; `details.field` names the field. */
export const setErrors = defineErrors('sets', {
  invalid: ['invalid', 'The backup set is not valid'],
  path_relative: ['invalid', 'A path of a backup set must begin with a slash'],
  path_protects_holdfast: ['invalid', "Holdfast's own state and local destinations are never backed up"],
  destination_unknown: ['invalid', 'There is no destination of that name'],
  name_taken: ['conflict', 'There is another backup set of that name'],
  not_found: ['not_found', 'There is no backup set of that name'],
  none: ['not_found', 'There is no backup set: nothing is protected'],
  too_many: ['exhausted', 'There are as many backup sets as there can be'],
});
