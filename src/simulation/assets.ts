import { assetTypes, type Asset, type AssetType } from '../model/records.ts';

/** An asset as scenarios and reports name it, such as `AAPL STOCK`. */
export function keyOfAsset({ symbol, assetType }: Asset): string {
  return `${symbol} ${assetType}`;
}

export function assetOf(key: string): Asset {
  const [symbol = '', type] = key.split(' ');
  return { symbol, assetType: assetTypes.find((each) => each === type) ?? ('STOCK' satisfies AssetType) };
}

/** Whether it is one that the provider does not know. */
export function isUnknown(key: string): boolean {
  return key.startsWith('X');
}
