import { join } from 'node:path';

import { goldenArchives } from './golden-archives.ts';
import { writeGolden } from './golden-folder.ts';

/** Rebuilds the golden archives of the draft: `node packages/archive/src/testing/write-golden.ts`. Never once it is frozen. */
const folder = join(import.meta.dirname, '../../testdata/v1-draft');
for (const [name, make] of Object.entries(goldenArchives)) await writeGolden(join(folder, name), await make());
