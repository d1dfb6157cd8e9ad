/** The documents of the wire format as JSON Schema 2020-12, for tools that know no OpenAPI. */
import { z } from 'zod';
import { SCHEMA_VERSION } from '../core/payload.ts';
import { Approval, Governance, Payload } from './documents.ts';
import { DescriptorSet } from './schemas.ts';

const DOCUMENTS = {
  approval: Approval,
  'descriptor-set': DescriptorSet,
  governance: Governance,
  payload: Payload,
} as const;

export type DocumentName = keyof typeof DOCUMENTS;

export function isDocumentName(text: string | undefined): text is DocumentName {
  return text !== undefined && Object.hasOwn(DOCUMENTS, text);
}

/** Patterns are meant with the `u` flag, as JSON Schema recommends. */
export function createJsonSchema(name: DocumentName): object {
  const schema = z.toJSONSchema(DOCUMENTS[name]);
  return { $id: `urn:quorate:schema:${SCHEMA_VERSION}:${name}`, ...schema };
}
