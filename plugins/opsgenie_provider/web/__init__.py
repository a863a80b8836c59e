"""HTTP from the outside: what people and other services reach of the package."""
