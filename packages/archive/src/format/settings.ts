import { defineFields, FieldReader, FieldWriter } from './fields.ts';
import { settingsKey } from './map-key.ts';
import type { MapEntry } from './tree-node.ts';

/** A backup set as the archive keeps it; its definition is JSON text. */
export type SetSetting = { readonly name: string; readonly definition: string };

const setFields = defineFields('set', { 1: 'may', 2: 'may' });

/** The entry that says what a backup set is. */
export function setSetting(number: number, { name, definition }: SetSetting): MapEntry {
  const fields = new FieldWriter(setFields).text(1, name).text(2, definition);
  return { key: settingsKey(`set/${number}`), value: fields.finish() };
}

/** Reads the value of a `set/<number>`. @throws archive.corrupt, archive.unknown_field */
export function parseSetSetting(value: Uint8Array): SetSetting {
  const fields = new FieldReader(value, setFields);
  let [name, definition] = ['', ''];
  while (fields.next()) {
    if (fields.tag === 1) name = fields.text();
    else definition = fields.text();
  }
  return { name, definition };
}
