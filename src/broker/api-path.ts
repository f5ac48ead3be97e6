// Where the API lives, as the older node has it (peat-mesh 0.6.0 broker, §9.1).
export const API = "/api/v1";
