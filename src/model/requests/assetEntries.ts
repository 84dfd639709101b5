import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { assetTypes, type Asset } from '../records.ts';
import {
  echoFields,
  printable,
  readEntries,
  readSymbol,
  show,
  symbolSchema,
  type RefusedInput,
  type Request,
} from './request.ts';

const assetTypeSchema = z.enum(assetTypes);

/** One entry of `assets`, as the backend sends it. */
export const assetEntrySchema = z.object({ symbol: symbolSchema, asset_type: assetTypeSchema });

const list = z.array(z.unknown(), { error: 'expected a list' });

/** A request for assets in one of its two forms. Its entries are read one by one, so that a bad one is refused alone. */
export const assetFields = {
  assets: list.optional(),
  symbols: list.optional(),
  assetType: z.unknown().optional(),
  ...echoFields,
};

type AssetFields = z.output<z.ZodObject<typeof assetFields>>;

/** The entries of both forms in the form of `assets`. */
function entriesOf({ assets, symbols, assetType }: AssetFields): readonly unknown[] {
  if (assets !== undefined) return assets;
  if (symbols !== undefined) return symbols.map((symbol) => ({ symbol, asset_type: assetType }));
  throw new RequestError('request_malformed', 'request: assets: expected a list, got nothing');
}

/** The assets of a request, each once, and the entries that are none. */
export function readAssets(body: AssetFields): Pick<Request<Asset>, 'inputs' | 'refused'> {
  return readEntries(entriesOf(body), readAsset);
}

/** One entry as an asset, or its refusal. */
export function readAsset(entry: unknown): Asset | RefusedInput {
  const result = assetEntrySchema.safeParse(entry);
  if (result.success) return { symbol: result.data.symbol, assetType: result.data.asset_type };
  const fields = typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : {};
  const seen = fields['asset_type'];
  const assetType = typeof seen === 'string' ? printable(seen) : undefined;
  const symbol = readSymbol('symbol' in fields ? fields['symbol'] : entry);
  if ('error' in symbol) return { ...symbol, assetType };
  const message = `${symbol.symbol}: asset_type: expected one of ${assetTypes.join(', ')}, got ${show(seen)}`;
  return { ...symbol, assetType, error: new RequestError('asset_type_unknown', message) };
}
